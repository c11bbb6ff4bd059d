"""A typed client of the management server: `Connection` talks, `messages` is generated from the server's own classes.

with Connection(Server("cloud.example", ca=Path("ca.pem"))) as connection:
    connection.log_in("admin", password)
    for host in connection.ask(QueryHost(conditions=[Condition("status", "=", "Connected")]))["inventories"]:
        print(host["name"])
"""
