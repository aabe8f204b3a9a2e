"""What an adapter is told: where the data lies, how to sign, and the parameters of the tasks."""

from dataclasses import dataclass
from functools import cached_property

import numpy

from data import sizes as scales
from data.keys import BUCKET, KEYS


@dataclass
class Context:
    """One data set in the cloud. `uri` is a server's, for tools that are servers; `registered`
    whether it knows the object by its key."""

    endpoint: str
    access_key: str
    secret_key: str
    dataset: str
    scale: str
    uri: str = ""
    registered: bool = False

    @property
    def sizes(self):
        """The scale of the data."""
        return scales.SCALES[self.scale]

    @property
    def bucket(self):
        """The bucket of all data."""
        return BUCKET

    @property
    def key(self):
        """The object, or the folder, in the bucket."""
        return KEYS[self.dataset]

    @property
    def url(self):
        """The same as a URL."""
        return f"s3://{BUCKET}/{self.key}"

    @cached_property
    def random_rows(self):
        """The rows of T4, ascending, each once."""
        chance = numpy.random.default_rng([scales.SEED, 9])
        return numpy.sort(chance.choice(self.sizes.cells, self.sizes.rows, replace=False))

    @property
    def gene_name(self):
        """The gene of T5."""
        return f"GENE{self.sizes.gene}"

    @property
    def window(self):
        """The hyperslab of T9 as slices."""
        return tuple(slice(start, stop) for start, stop in self.sizes.window)

    def wanted(self, obs):
        """The condition of T2 on a pandas table of cells."""
        return (obs["cell_type"].isin(scales.WANTED_TYPES) & (obs["percent_mito"] <= scales.MOST_MITO)).to_numpy()

    @property
    def condition(self):
        """The condition of T2 and T7 as SQL."""
        types = ", ".join(f"'{name}'" for name in scales.WANTED_TYPES)
        return f"cell_type IN ({types}) AND percent_mito <= {scales.MOST_MITO}"
