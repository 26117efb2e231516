"""The pack that every environment is judged by. Serving it blocks, so it happens here and nowhere else."""

from policies.packs import RULES
from policies.serving import serve

serve("platform", RULES)
