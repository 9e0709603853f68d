"""What can go wrong while a machine is calibrated, told so that somebody can mend it."""


class CalibrationError(Exception):
    """This machine cannot be calibrated now; the message says why and what helps."""
