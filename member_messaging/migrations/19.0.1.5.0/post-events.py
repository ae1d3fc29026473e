def migrate(cr, version):
    """Nobody writes down any more who stored an event and when; its own date says more,
    and each foreign key costs a check per report."""
    cr.execute(
        """
        ALTER TABLE member_event
              DROP COLUMN IF EXISTS create_uid, DROP COLUMN IF EXISTS create_date,
              DROP COLUMN IF EXISTS write_uid, DROP COLUMN IF EXISTS write_date
        """
    )
