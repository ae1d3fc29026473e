"""Rules in plain Python: no Odoo, no database, no network.

======== ====================================================================
codes    coupon codes and link tokens
hours    the hour of the day at which to write to somebody
links    telling people from machines among the visitors of a link
ranks    states of a message and the events that may change them
rates    exchange rates from day to day
replies  what a member wants who sends us a text
rfm      recency, frequency and monetary scores and their names
sms      how many parts a text takes
template variables in message texts
text     characters: full and half width
zones    time zones of telephone numbers and countries
======== ====================================================================
"""
