#!/usr/bin/env python3
"""The command line as a person meets it: the built program as a child process, the embedded model.

Needs DOUGONG (the program). Uses the standard library only, free ports and a home folder of its own.
Closes with one line `N passed, N failed, N skipped`.
"""
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    sys.path.insert(0, str(HERE))
    suite = unittest.defaultTestLoader.discover(str(HERE), pattern="test_*.py")
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    for test, reason in result.skipped:
        print(f"skip: {test.id()}: {reason}")
    for test, _ in result.failures + result.errors:
        print(f"FAIL {test.id()}")
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or result.testsRun == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
