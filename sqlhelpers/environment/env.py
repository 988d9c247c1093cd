from sqlhelpers.environment import run

run()
