"""What every way to deliver mail shares: here, how the words of a server are made safe to show."""
