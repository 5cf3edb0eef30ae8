#pragma once
// How many tokens a request will still generate, learned from the ones that ended. Pure.
//
// Admission needs it: promising every request the pages of its longest possible answer would leave
// most pages idle, promising none would set requests aside that are almost done. A wrong forecast
// costs time, never an answer.

#include <cstdint>

namespace engine {

class OutputForecast {
public:
    /// A request ended after `tokens`.
    void observe(std::uint32_t tokens);
    /// Tokens still to come from a request that has `generated` of at most `tokens_max`.
    std::uint32_t left(std::uint32_t generated, std::uint32_t tokens_max) const;

private:
    double mean_ = 256.;  ///< before anything ended: a usual answer of a chat
    double deviation_ = 128.;
    std::uint64_t observed_ = 0;
};

}  // namespace engine
