"""Pictures of what a trained model sees: regions, boundaries, predictions.

``tools/visualize.py`` calls :func:`segaware_mm.visualization.cli.main`. A
family of models adds its views in one module, see
:mod:`segaware_mm.visualization.registry`.
"""
