"""The dialogs: adding, changing and repairing an account, its recipients and options."""
