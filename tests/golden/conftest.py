"""`--rewrite-golden` (make golden) writes the traces anew; nothing else ever does."""


def pytest_addoption(parser):
    parser.addoption("--rewrite-golden", action="store_true", default=False, help="write tests/golden/*.txt anew")
