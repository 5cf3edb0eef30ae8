#pragma once
// A pack: what an agent is, as a file (`packs/<name>/pack.yaml`). Immutable once read.
//
//   const Pack pack = DG_TRY(read_pack(text, "packs/coder/pack.yaml", tools));
//   const json::object workflow = compile(pack, tools);   // compile/compile.h

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/tool.h"
#include "base/document/document.h"
#include "base/json/json.h"

namespace agent {

/// What happens to a call before it is made.
enum class Verdict : std::uint8_t { allow, ask, deny };
std::string_view verdict_name(Verdict verdict);

struct Pack {
    std::string name;         ///< runs are those of workflow agent.<name>
    std::string description;  ///< for people
    std::string instructions;

    struct Model {
        std::string name;  ///< empty: the server's default
        double temperature = 0;
        std::uint32_t max_tokens = 1024;  ///< of one answer
        std::optional<std::uint32_t> seed;
        /// Every answer is a call, held by grammar to a tool that exists; the last one is
        /// final_answer. Else the model calls or answers as it likes.
        bool must_call = true;
        bool parallel_calls = true;
        double input_usd_per_million = 0, output_usd_per_million = 0;  ///< tokens
    } model;

    struct ToolUse {
        std::string name;
        std::uint64_t calls_max = 0;  ///< in a run; 0: any number
    };
    std::vector<ToolUse> tools;

    std::vector<std::string> agents;  ///< others that it may give goals to, as ask_<name>

    struct Rule {
        std::string tool;  ///< a name, or one with '*' at its end
        std::string when;  ///< an expression over `arguments`; empty: always
        Verdict verdict = Verdict::deny;
        std::string why;  ///< told to the model, or to who is asked
    };
    std::vector<Rule> rules;  ///< the first that fits decides
    Verdict otherwise = Verdict::allow;

    std::uint32_t recall = 0;  ///< memories that are looked up for the goal; 0: none

    struct Limits {
        std::uint32_t turns = 20;
        std::uint64_t tokens = 200'000;
        std::uint64_t context_tokens =
            0;                ///< the model's window; what is old is summed up; 0: never
        double cost_usd = 0;  ///< 0: no bound
        std::string time;     ///< a duration; empty: none
        std::uint32_t tool_calls = 100;
        std::uint32_t repeats = 3;           ///< the same call with the same result
        std::uint32_t parallel = 4;          ///< calls at once
        std::uint32_t result_bytes = 16384;  ///< of one result, for the model; then cut
        std::string tool_time = "2m";        ///< of one call
    } limits;

    std::optional<base::json::value> output;  ///< JSON Schema of the answer; none: text

    struct Example {
        std::string goal, says;
        base::json::value context;  ///< given with the goal; null: nothing
    };
    std::vector<Example> examples;

    struct Eval {
        enum class Kind : std::uint8_t { exact, contains, schema };
        std::string name, goal;
        base::json::value context;
        Kind kind = Kind::contains;
        base::json::value expected;
    };
    std::vector<Eval> evals;
};

struct ReadPack {
    std::optional<Pack> pack;         ///< there when nothing is wrong
    std::vector<base::Fault> faults;  ///< in the order of the text
};

/// YAML, or JSON when `file` ends in .json. `tools`: those of the program besides the built-in.
ReadPack read_pack_faults(std::string_view text, const std::string& file,
                          std::span<const Tool> tools);
/// Errors: invalid_argument: the first faults, a line each, as "file:line:column: ...".
base::Result<Pack> read_pack(std::string_view text, const std::string& file,
                             std::span<const Tool> tools);

/// JSON Schema of packs, for editors.
base::json::object pack_schema();

}  // namespace agent
