"""One refusal of Microsoft's servers, and phrases that several share."""

from dataclasses import dataclass

from .script import Step

FRONT = "[LO2P265CA0356.GBRP265.PROD.OUTLOOK.COM 2025-01-26T18:54:30.055Z 08DD3DD7D75D7743]"
BACK = "[Hostname=PS2PR06MB3510.apcprd06.prod.outlook.com]"
OLDER = "[LNXP123CA0004.GBRP123.PROD.OUTLOOK.COM]"
CHINA = "[SH2PR01CA004.CHNPR01.prod.partner.outlook.cn 2025-01-26T18:54:30.055Z 08DD3DD7D75D7743]"


@dataclass(frozen=True)
class Row:
    """One refusal: where it comes, what it says, and the kind and the problem that it means."""

    name: str
    step: Step
    reply: str
    meaning: str

    @property
    def kind(self) -> str:
        """What it means for the account's mail."""
        return self.meaning.split()[0]

    @property
    def problem(self) -> str:
        """The key of the problem that users read about."""
        return self.meaning.split()[1]
