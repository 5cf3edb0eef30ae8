#pragma once
// Runs one request on an engine and says how long its two phases took. For `dougong bench`.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/core/result.h"
#include "base/core/rng.h"
#include "engine/engine.h"

namespace app {

struct PhaseTimes {
    std::uint32_t prompt_tokens = 0, completion_tokens = 0;
    double prefill_s = 0;  ///< from the start of computing to the first token
    double decode_s = 0;   ///< from the first token to the last
    /// CPU time of the whole process meanwhile: steady where neighbours take the cores.
    double prefill_cpu_s = 0, decode_cpu_s = 0;

    double prefill_tokens_per_s() const { return prefill_s > 0 ? prompt_tokens / prefill_s : 0; }
    double decode_tokens_per_s() const {
        return decode_s > 0 && completion_tokens > 1 ? (completion_tokens - 1) / decode_s : 0;
    }
    double prefill_tokens_per_cpu_s() const {
        return prefill_cpu_s > 0 ? prompt_tokens / prefill_cpu_s : 0;
    }
    double decode_tokens_per_cpu_s() const {
        return decode_cpu_s > 0 && completion_tokens > 1 ? (completion_tokens - 1) / decode_cpu_s
                                                         : 0;
    }
};

/// Generates exactly `completion_tokens` greedily after `prompt`. Blocks. Errors: as
/// Engine::submit; cancelled when `stop_asked` says so.
base::Result<PhaseTimes> measure_request(engine::Engine& engine,
                                         std::vector<engine::TokenId> prompt,
                                         std::uint32_t completion_tokens,
                                         const std::function<bool()>& stop_asked);

/// `length` token ids without control tokens. Different for each call, so that no prefix is cached.
std::vector<engine::TokenId> random_prompt(const engine::Tokenizer& tokenizer, std::size_t length,
                                           base::Rng& rng);

/// The middle value; the mean of the two middle ones. 0 when empty.
double median(std::vector<double> values);

}  // namespace app
