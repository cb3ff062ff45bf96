"""The folder `suite` is run in processes of its own, by test_dialect_suite.py."""

collect_ignore = ["suite"]
