"""perdure.chaos"""
