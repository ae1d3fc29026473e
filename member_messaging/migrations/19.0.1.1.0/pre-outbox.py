def migrate(cr, version):
    """What is left out has no gateway, and what waits is not claimed: the indexes of
    the outbox tell them apart by that."""
    cr.execute("UPDATE member_message SET gateway_id = NULL WHERE state = 'skipped'")
    cr.execute("UPDATE member_message SET claimed_date = NULL WHERE state = 'queued'")
    # The rows' own dates say more, and each foreign key costs a check per message.
    cr.execute(
        """
        ALTER TABLE member_message
              DROP COLUMN IF EXISTS create_uid, DROP COLUMN IF EXISTS create_date,
              DROP COLUMN IF EXISTS write_uid, DROP COLUMN IF EXISTS write_date
        """
    )
