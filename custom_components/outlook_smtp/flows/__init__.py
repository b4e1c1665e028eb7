"""The dialogs to add, change and repair an account, its recipients and its options."""
