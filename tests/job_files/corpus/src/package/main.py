"""An entry script for the job definitions beside its folder, which are read and not run."""


def run(mini_batch):
    return [str(item) for item in mini_batch]
