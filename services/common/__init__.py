"""What every service needs and none owns: settings, database, outbox, inbox, saga worker, API conventions."""
