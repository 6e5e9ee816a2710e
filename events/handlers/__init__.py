"""The rules about handlers: which exist, how many workers each has, how long a retry waits, what an overdue lease means.

`registry` decides and folds, `backoff` computes delays, `overdue_lease` judges an attempt whose lease ran out, `elasticity` says
when handlers grow and shrink, `subscription_window` how many deliveries may be out, `sharing` which process gets which delivery.

Not here: the actors that run handlers (`actors/workers`).
"""
