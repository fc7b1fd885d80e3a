"""Training and testing on mmengine's Runner: the tools' inside.

``tools/train.py`` calls :func:`segaware_mm.engine.train.main`,
``tools/test.py`` :func:`segaware_mm.engine.test.main`.
"""
