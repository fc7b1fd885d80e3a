"""Files for evaluation servers: arrays -> files of an image -> archive, and the proof.

``targets.get_target(NAME)`` returns what a server takes; ``target.py`` says how it is
used.
"""
