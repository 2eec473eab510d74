"""Events of caught mails, and their delivery to webhooks."""
