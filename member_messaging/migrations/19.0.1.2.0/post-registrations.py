def migrate(cr, version):
    """Texts and signatures that were in use have been approved by their provider."""
    cr.execute("UPDATE member_template_registration SET state = 'approved'")
    cr.execute(
        """
        INSERT INTO member_gateway_signature (gateway_id, name, state)
        SELECT id, signature, 'approved' FROM member_gateway
         WHERE provider = 'aliyun' AND COALESCE(signature, '') != ''
            ON CONFLICT DO NOTHING
        """
    )
