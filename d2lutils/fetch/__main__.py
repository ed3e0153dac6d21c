"""What ``python -m d2lutils.fetch`` runs."""

from d2lutils.fetch import main

main()
