"""The Management API, one module of routes per subject; every answer follows the published contract."""
