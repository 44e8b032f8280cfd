"""The two ways in which a command may end without success and without being a bug."""


class UserError(Exception):
    """Something the user can put right: ends the command with exit code 2 and no traceback.

    `what` went wrong (with the actual value), `where` it is (a file, a key, a node name), and the
    `remedy` (what to do next). `str()` is the message of three lines.
    """

    def __init__(self, what: str, where: str, remedy: str) -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        return f"error: {self.what}\nwhere: {self.where}\n  try: {self.remedy}"


class VerificationFailed(Exception):  # noqa: N818  (a finding, not an error)
    """Two things that must be equal are not; the message names the first difference. Exit code 1.

    The stage that raises it leaves `report.json` in its output folder first, so that the failure
    can be looked into.
    """
