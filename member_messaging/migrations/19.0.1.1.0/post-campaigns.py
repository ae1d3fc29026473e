def migrate(cr, version):
    """Campaigns that were planned in one go have a fixed audience, too."""
    cr.execute(
        """
        UPDATE member_campaign c
           SET frozen_date = c.planned_date, frozen_count = m.count,
               written_count = m.count
          FROM (SELECT campaign_id, COUNT(*) FROM member_message GROUP BY 1) m
         WHERE m.campaign_id = c.id AND c.planned_date IS NOT NULL
           AND c.frozen_date IS NULL
        """
    )
