"""The sentence that goes with every answer."""

NOTICE = "Research software. Not a medical device, not for diagnosis: a qualified reader decides."
