#include "flow/run/run_input.h"

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace {

using flow::RunInput;
namespace json = base::json;

RunInput some_input(base::Rng& rng) {
    const auto text = [&] {
        std::string out(rng.below(20), '\0');
        for (char& c : out) c = static_cast<char>(rng.below(128));
        return out;
    };
    RunInput input;
    input.kind = static_cast<RunInput::Kind>(1 + rng.below(7));
    input.name = text();
    input.by = text();
    if (rng.below(2) == 0) input.payload = {{"n", rng.below(100)}, {"list", {1, nullptr, "x"}}};
    if (rng.below(3) == 0) input.error = base::Error{base::Code::data_loss, text(), text()};
    return input;
}

TEST(RunInput, IsTheSameAfterTheInbox) {
    test::for_each_seed(200, [](base::Rng& rng) {
        const RunInput input = some_input(rng);
        const auto read = flow::decode_input(encode(input));
        ASSERT_TRUE(read.has_value()) << read.error().message;
        EXPECT_EQ(*read, input);
    });
}

TEST(RunInput, DamagedBytesAreRefusedOrReadAsAnother) {
    test::for_each_seed(500, [](base::Rng& rng) {
        const RunInput input = some_input(rng);
        std::string bytes = encode(input);
        if (rng.below(2) == 0) {
            bytes.resize(rng.below(bytes.size()));
            EXPECT_FALSE(flow::decode_input(bytes).has_value());
            return;
        }
        const std::size_t at = rng.below(bytes.size());
        const char changed = static_cast<char>(bytes[at] ^ (1 + rng.below(255)));
        bytes[at] = changed;
        const auto read = flow::decode_input(bytes);
        if (read) {
            EXPECT_NE(*read, input);
        } else {
            EXPECT_EQ(read.error().code, base::Code::data_loss);
        }
    });
}

}  // namespace
