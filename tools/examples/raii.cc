// SPDX-License-Identifier: BSD-2-Clause
// raii.cc — libstasis from C++17, through the owners of raii.hpp
//
// Two exchanges publish quotes and trades, each to a topic of its own. Both topics are forwarded to
// a third, where a router keeps the last quote of each symbol and sums up the trades. A
// subscription to one exchange counts its quotes, and throws an exception at one of them. In the
// end everything is compared with what was published; the exit status says whether it was right.

#include "raii.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <map>
#include <stdexcept>
#include <string>

namespace
{

constexpr int n_rounds = 1000;
constexpr int bad_price = 500;

struct quote {
	char symbol[8];
	int price;
};

struct trade {
	char symbol[8];
	int quantity;
};

struct types {
	raii::type_of<quote> quotes{ "quote" };
	raii::type_of<trade> trades{ "trade" };
};

// What the router has found. Its functions never overlap, so this needs no lock; who reads it has
// joined the router.
struct market {
	std::map<std::string, int> last_price;
	std::map<std::string, long> traded;
};

bool expect(bool holds, const char *what)
{
	if (!holds)
		std::fprintf(stderr, "raii: wrong: %s\n", what);
	return holds;
}

// One exchange: prices rise from 1 to n_rounds, and each quote is followed by a trade.
void trade_all_day(const types &types, const raii::topic &topic, const char *symbol)
{
	quote quote{};
	trade trade{};

	std::snprintf(quote.symbol, sizeof(quote.symbol), "%s", symbol);
	std::snprintf(trade.symbol, sizeof(trade.symbol), "%s", symbol);
	for (int i = 1; i <= n_rounds; i++) {
		quote.price = i;
		trade.quantity = 2;
		types.quotes.publish(topic, quote);
		types.trades.publish(topic, trade);
	}
}

raii::subscription count_quotes(std::shared_ptr<const types> types, const raii::topic &topic,
				std::shared_ptr<int> count)
{
	return raii::subscription(topic, [types, count](stasis_message *message) {
		const quote *quote = types->quotes.in(message);

		if (quote == nullptr)
			return;
		if (quote->price == bad_price)
			throw std::runtime_error("I do not like this price");
		++*count;
	});
}

bool run()
{
	const auto types = std::make_shared<const struct types>();
	const raii::topic paris = raii::make_topic("paris"), tokyo = raii::make_topic("tokyo");
	const raii::topic world = raii::make_topic("world");
	raii::forward from_paris(paris, world), from_tokyo(tokyo, world);
	// Shared with the functions that use them, which may run until their final message,
	// whatever happens here.
	auto count = std::make_shared<int>(0);
	auto market = std::make_shared<struct market>();
	raii::subscription counter = count_quotes(types, paris, count);
	raii::router router(world);
	bool good = true;

	router.add<quote>(types->quotes, [market](const quote &quote) {
		market->last_price[quote.symbol] = quote.price;
	});
	router.add<trade>(types->trades, [market](const trade &trade) {
		market->traded[trade.symbol] += trade.quantity;
	});

	auto elsewhere = std::async(std::launch::async, trade_all_day, std::cref(*types),
				    std::cref(tokyo), "TYO");
	trade_all_day(*types, paris, "PAR");
	elsewhere.get();

	// What has been published is delivered before the end.
	counter.join();
	router.join();

	for (const auto &[symbol, price] : market->last_price)
		std::printf("%s: last price %d, %ld traded\n", symbol.c_str(), price,
			    market->traded[symbol]);
	std::printf("paris: %d quotes counted, %u exceptions\n", *count, raii::exceptions.load());

	good &= expect(market->last_price.size() == 2, "two symbols");
	for (const char *symbol : { "PAR", "TYO" }) {
		good &= expect(market->last_price[symbol] == n_rounds, "the last price is last");
		good &= expect(market->traded[symbol] == 2L * n_rounds, "every trade counts once");
	}
	good &= expect(*count == n_rounds - 1, "every quote but one is counted");
	good &= expect(raii::exceptions == 1, "one exception");
	good &= expect(count.use_count() == 1, "the subscription's function is gone");
	good &= expect(market.use_count() == 1, "the router's functions are gone");
	return good;
}

} // namespace

int main()
{
	try {
		return run() ? EXIT_SUCCESS : EXIT_FAILURE;
	} catch (const std::exception &exception) {
		std::fprintf(stderr, "raii: %s\n", exception.what());
		return EXIT_FAILURE;
	}
}
