"""European options by Black and Scholes: prices, and the greeks as gradients of the price.

Formula: F. Black and M. Scholes, "The Pricing of Options and Corporate Liabilities", J. Political Economy 81 (1973).
"""

import numpy as np

import symgraph as sg


def call_price(spot: sg.Node, strike: sg.Node, years: sg.Node, rate: sg.Node, volatility: sg.Node) -> sg.Node:
    """The price of a European call, elementwise."""
    spread = volatility * sg.sqrt(years)
    d1 = (sg.log(spot / strike) + (rate + 0.5 * volatility**2) * years) / spread
    return spot * sg.ndtr(d1) - strike * sg.exp(-rate * years) * sg.ndtr(d1 - spread)


names = ("spot", "strike", "years", "rate", "volatility")
inputs = [sg.placeholder("float64", ("options",), name=name) for name in names]
spot, strike, years, rate, volatility = inputs
price = call_price(*inputs)

# The gradient of the sum holds each option's own derivative, since no price depends on another option.
delta, theta, rho, vega = sg.grad(price.sum(), [spot, years, rate, volatility])
gamma = sg.grad(delta.sum(), spot)
outputs = {"price": price, "delta": delta, "gamma": gamma, "vega": vega, "theta": -theta, "rho": rho}


def main(options: sg.Options | None = None) -> dict[str, np.ndarray]:
    """Print a table for one expiry and return it."""
    greeks = sg.function(inputs, outputs, name="greeks", options=options)
    strikes = np.arange(80.0, 125.0, 5.0)
    ones = np.ones_like(strikes)
    table: dict[str, np.ndarray] = greeks(
        100 * ones, strikes, 0.5 * ones, 0.02 * ones, volatility=0.25 * ones
    )
    print("strike  " + "".join(f"{name:>10}" for name in table))
    for row, k in enumerate(strikes):
        print(f"{k:6.1f}  " + "".join(f"{column[row]:10.4f}" for column in table.values()))
    return table


if __name__ == "__main__":
    main()
