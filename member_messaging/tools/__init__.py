"""Rules in plain Python: no Odoo, no database, no network.

========= ===================================================================
codes     coupon codes and link tokens
hours     the hour of the day at which to write to somebody
ledger    rows that cannot be altered unnoticed
links     telling people from machines among the visitors of a link
quota     what is left of a month's SMS, of a budget, of a trial batch
ranks     states of a message and the events that may change them
rates     exchange rates from day to day
refusal_… refusals in plain words, Chinese and English
replies   what a member wants who sends us a text
retention how long the record of a message is kept
rfm       recency, frequency and monetary scores and their names
sms       how many parts a text takes
template  variables in message texts
text      characters: full and half width
trial     whether a campaign goes on after its trial batch
workbook  Excel files for people
zones     time zones of telephone numbers and countries
========= ===================================================================
"""
