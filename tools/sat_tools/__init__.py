"""SAT ('Segment Anything in radiology scans by Text prompts'): one definition of the network, and what makes models.

`network` and `text` define the two halves with the official key names; `export` turns weights into a model folder;
`generator`, `classes` and `training` make the small head model that ships; `preparation` and `inference` are the
published image path in a few lines of numpy, for evaluation and tests.
"""
