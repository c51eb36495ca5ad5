SIZE = (640, 360)


def write_film(path, seconds):
    raise NotImplementedError
