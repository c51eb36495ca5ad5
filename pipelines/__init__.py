"""The product: exact media, manifests, flows and the command line around the style engine."""

import os

# Read once by OpenMP, when torch is first imported. Threads that wait by spinning take the cores away from
# decoder and encoder, and beside another busy process every frame takes 25 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 tells its settings at every segment otherwise
