"""A release tried on a few visitors: by the two target groups and the rule that components/canary.py makes.

- `verdict`: whether the canary is good, bad, or cannot be judged yet: pure.
- `figures`: what CloudWatch and Prometheus say of both releases.
- `lease`: who runs the canary, until when, and how far it is: the state from which any machine goes on.
- `route`: the weights of the rule, and how the targets are.
- `pods`: the canary's Deployment, a copy of the stable one.
- `driver`: the steps.
"""
