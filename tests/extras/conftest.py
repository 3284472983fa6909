"""Set before SciPy is imported: the checks of scikit-learn then include its array API, and none of them is skipped."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")
