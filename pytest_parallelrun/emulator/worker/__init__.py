"""What an emulated worker process has for itself: modules, arguments, environment, folder, streams."""
