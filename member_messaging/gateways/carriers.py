"""What carriers in mainland China say in delivery reports, whoever relays them.

Source: public code lists of several messaging platforms and of CMPP.
"""

from .types import Outcome

#: Result class by carrier code in a delivery report. The codes are not standardised;
#: one that is not listed (above all the ``MA:`` family, which vendors explain in three
#: different ways) is a failure without further consequence.
RECEIPT_OUTCOMES = {
    **dict.fromkeys(
        ("EXPIRED", "UNDELIV", "MK:0010", "MK:0023", "002"), Outcome.POSTPONE
    ),
    **dict.fromkeys(
        (
            "MILIMIT",
            "LIMIT",
            "BEYONDN",
            "BEYONDM",
            "BEYONDH",
            "BEYONDD",
            "CTLIMIT",
            "DB:0142",
        ),
        Outcome.POSTPONE,
    ),
    **dict.fromkeys(
        (
            "MK:0001",
            "MK:0005",
            "MK:0013",
            "DB:0101",
            "DB:0102",
            "CB:0001",
            "CB:0053",
            "MI:0210",
        ),
        Outcome.BADNUM,
    ),
    **dict.fromkeys(
        (
            "MBBLACK",
            "DBBLACK",
            "BLACK",
            "TDBLACK",
            "TSBLACK",
            "DB:0144",
            "PUBLOKD",
            "BLOCKED",
            "HIGRISK",
        ),
        Outcome.OPTOUT,
    ),
    **dict.fromkeys(("IB:0008", "DB:9007"), Outcome.RETRY),
    **dict.fromkeys(
        ("KEYWORD", "MK:0014", "MK:0115", "ID:0076", "-106", "REJECTD"),
        Outcome.CONTENT,
    ),
    **dict.fromkeys(("XA:0003", "SIGFAIL", "SIGNBLOCKED", "QM_FAIL"), Outcome.TEMPLATE),
}
