package smtp
