"""``make demo``: scenes, a training of minutes, pictures.

``tools/demo.py`` calls :func:`segaware_mm.demo.cli.main`.
"""
