"""What an emulated worker process has of its own: modules, arguments, environment, folder, streams."""
