"""What reporting guidelines ask of a study, in our own words, and where a report of radpath can answer.

In: nothing. Out: ``CHECKLISTS``. Numbers are those of the guidelines; the words are ours and short, so the published
checklists stay what authors submit. A line is ``number | what is asked | places``: anchors of the report, of which the
first that is there is linked; ``+`` behind them says that the report holds a part and the authors add the rest; a line
without places is for the authors alone.

Sources: CLAIM, Tejani et al. 2024, doi 10.1148/ryai.240300 (44 items); TRIPOD+AI, Collins et al. 2024, doi
10.1136/bmj-2023-078378 (27 items, 52 with sub-items); STARD-AI, Sounderajah et al. 2025, doi
10.1038/s41591-025-03953-8 (40 items, 48 with sub-items). The numbers of the last were taken from two independent
filled-in copies that agree, not from the journal's own table.
"""

import dataclasses
from typing import Final


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that a guideline asks for."""

    number: str
    asked: str
    places: tuple[str, ...]
    """Anchors, the best first; empty where only the authors can answer."""
    is_part: bool
    """Whether the authors have to add something to what stands there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checklist:
    """One guideline."""

    name: str
    """Of its table."""
    title: str
    reference: str
    items: tuple[Item, ...]


_CLAIM: Final = """
1 | title tells that the study is about AI, and of which kind |
2 | abstract with design, methods, results and conclusions |
3 | background, intended use and role of the model | fill-in +
4 | aims and hypotheses |
5 | data collected before or after the study was planned |
6 | what the study is for: a first model, feasibility, a trial |
7 | where the images come from | data +
8 | who and what was included and left out | excluded data +
9 | what was done to the pixels before the model | reproduce plan
10 | how a subset of the data was chosen | split data
11 | how identities were removed | fill-in +
12 | what was done where data are missing | excluded data +
13 | how images were acquired | characteristics fill-in +
14 | how the reference standard was obtained | fill-in +
15 | why this reference standard |
16 | who gave the labels, and their training | fill-in +
17 | how the test images were labelled |
18 | how far readers agree with each other and themselves |
19 | how images were dealt to training, validation and test | split
20 | at which level the sides are disjoint | disjointness
21 | how many test cases were wanted, and why | limits +
22 | the model, in enough detail to build it | model training
23 | software and versions | reproduce
24 | where the first weights come from | model
25 | how it was trained: augmentation, rates, epochs | training reproduce
26 | how the final model was chosen | kept
27 | how several models were joined | members
28 | which metrics, and why these | results
29 | how uncertainty and significance were measured | results
30 | robustness and sensitivity | robustness subgroups
31 | how decisions were explained, and what explanations are worth | explanation
32 | results on internal data | results
33 | results on data from elsewhere, or why not | drift fill-in +
34 | registration of a trial |
35 | how many were included and excluded, as a flow | data
36 | characteristics of the cases on each side | characteristics +
37 | performance with its uncertainty, on each side and in subgroups | results
38 | diagnostic accuracy with its precision | results
39 | what was decided wrongly | mistakes
40 | limits of the study | limits +
41 | what it means for practice |
42 | where the protocol or further details are | reproduce +
43 | where software, model and data are available | reproduce +
44 | funding, and the role of those who funded |
"""

_TRIPOD: Final = """
1 | title: development or evaluation, for whom, of what |
2 | abstract after its own checklist |
3a | context of care, why a model, which exist |
3b | whom it is for, where in the care, who uses it | fill-in +
3c | inequalities of health that are known |
4 | aims: development, evaluation or both |
5a | sources of the data on each side, and whom they stand for | data +
5b | dates of the data |
6a | setting: kind, number and place of the centres | characteristics +
6b | who could take part | excluded data +
6c | treatments, where they matter |
7 | preparation and quality checks of the data | noticed plan +
8a | what is predicted, when and how it was assessed | fill-in +
8b | who assessed it, where judgement is needed |
8c | whether the assessment was blind |
9a | how the inputs were chosen | data +
9b | what the inputs are, and how they were measured | data characteristics +
9c | who measured them, where judgement is needed |
10 | size of the study, and whether it is enough | limits split +
11 | what was done where data are missing | excluded data
12a | which data were used for what | split
12b | how inputs were transformed | reproduce plan
12c | kind of model, every step of building, tuning, internal validation | training
12d | differences between centres, and how they were measured | subgroups +
12e | measures and plots of discrimination, calibration and use | results calibration
12f | updates of the model after evaluation | calibration +
12g | how predictions were calculated | reproduce model
13 | handling of rare classes, and recalibration after it | calibration limits plan
14 | what was done for fairness | subgroups +
15 | output, and how thresholds were found | operating-points results
16 | how development and evaluation data differ | characteristics drift +
17 | ethics and consent | fill-in +
18a | funding |
18b | conflicts of interest |
18c | protocol |
18d | registration |
18e | availability of the data | data +
18f | availability of the code | reproduce +
19 | involvement of patients and the public |
20a | flow of participants, with and without the outcome | data
20b | characteristics, overall and by source | characteristics +
20c | development and evaluation data side by side | characteristics drift
21 | participants and outcomes in each analysis | split
22 | the full model, so that others can use it | model reproduce +
23a | performance with intervals, also in subgroups | results
23b | differences of performance between centres | subgroups +
24 | results of an update | calibration +
25 | interpretation, fairness included |
26 | limits and what they do to the results | limits +
27a | what to do with poor or missing inputs | limits +
27b | what users must do and know |
27c | next steps |
"""

_STARD: Final = """
1 | title or abstract tell AI, diagnostic accuracy and one measure of it |
2 | structured abstract |
3 | background, intended use, place in the workflow | fill-in +
4 | aims and hypotheses |
5 | data collected before or after the study was planned |
6 | approval by an ethics committee, or why none | fill-in +
7 | who and which data were included and left out, in order | excluded data +
8 | how participants were found |
9 | where and when |
10 | consecutive, random or convenient |
11 | source of the data: routine, for this study, a repository | data +
12 | who annotated, with which experience, and how | fill-in +
13 | devices, and software with versions | characteristics reproduce +
14 | acquisition and preparation of the data | reproduce plan +
15a | the test, in enough detail to repeat it | model training
15b | how it was developed: training, validation, test, sizes | training split
15c | its cut-offs, fixed before or found after | operating-points results
15d | who uses it, and what they must know |
16a | the reference standard, in enough detail to repeat it | fill-in +
16b | why this reference standard |
16c | its cut-offs, fixed before or found after |
17a | what those who ran the test knew |
17b | what those who gave the labels knew |
18 | methods for measures of accuracy | results
19 | what was done with results that decide nothing | abstention prediction-sets excluded +
20 | what was done where data are missing | excluded data
21 | analyses of variation, planned or explored | subgroups robustness +
22 | how many were wanted, and why | limits +
23 | analyses of errors, bias and fairness | mistakes subgroups +
24 | flow of participants | data
25 | characteristics of training, validation and test | characteristics +
26a | how severe the disease was |
26b | what those without it had |
27 | time and treatment between test and reference |
28 | whether the data stand for those it is meant for | characteristics +
29 | how data from elsewhere differ | drift +
30 | table of results against the reference | by-class results
31 | accuracy with intervals | results
32 | harm by the test or the reference |
33 | limits: bias, uncertainty, how far results carry | limits +
34 | what it means for practice |
35 | ethics of its use, fairness |
36 | registration |
37 | protocol |
38 | funding, and the role of those who funded |
39 | commercial interests |
40a | availability of data and code | reproduce +
40b | whether outputs are kept and can be audited | reproduce
"""


def _items(text: str) -> tuple[Item, ...]:
    items = []
    for line in text.strip().splitlines():
        number, asked, places = (part.strip() for part in line.split("|"))
        names = places.split()
        items.append(Item(number=number, asked=asked, places=tuple(n for n in names if n != "+"), is_part="+" in names))
    return tuple(items)


CHECKLISTS: Final = (
    Checklist(
        name="checklist-claim-2024",
        title="CLAIM 2024",
        reference="Tejani et al., Radiology: Artificial Intelligence 2024, doi 10.1148/ryai.240300",
        items=_items(_CLAIM),
    ),
    Checklist(
        name="checklist-tripod-ai",
        title="TRIPOD+AI",
        reference="Collins et al., BMJ 2024, doi 10.1136/bmj-2023-078378",
        items=_items(_TRIPOD),
    ),
    Checklist(
        name="checklist-stard-ai",
        title="STARD-AI",
        reference="Sounderajah et al., Nature Medicine 2025, doi 10.1038/s41591-025-03953-8",
        items=_items(_STARD),
    ),
)
"""Guidelines that a study of radpath may be asked for."""
