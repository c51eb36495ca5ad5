"""How fast this machine paints, stage by stage, against its own limits and against what people run today."""
