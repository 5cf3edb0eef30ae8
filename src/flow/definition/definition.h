#pragma once
// A workflow as values: what `read_definition` makes of a file and the engine runs. Immutable once
// read; running runs share it. Templates and expressions are parsed here, once.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/json/json.h"
#include "base/schema/schema_check.h"
#include "flow/definition/value_template.h"

namespace flow {

using std::chrono::milliseconds;

struct Step;

/// Steps that run as a graph: each when all it depends on are done. Steps that name no dependency
/// depend on the one before them unless some step of the block uses `depends_on`; then they are
/// free. `steps` is in topological order; `needs` are indices into it, all smaller than the step's.
struct Block {
    std::vector<Step> steps;
};

// ---- what a step does ------------------------------------------------------------------------

/// A completion by a model. Output: {"text", "json" (with `schema`), "tool_calls", "usage"}.
struct LlmAction {
    std::string model;      ///< empty: the server's default
    ValueTemplate request;  ///< chat.completions fields: messages or prompt, tools, temperature ...
    std::optional<base::json::value> schema;  ///< the answer is JSON of this shape
};
/// A named tool, as agents call them. Output: the tool's.
struct ToolAction {
    std::string tool;
    ValueTemplate arguments;
};
/// Code in a sandbox of its own. Output: {"result", "stdout", "stderr", "exit_code"}; with
/// `keep_workspace` also {"workspace", "files"}.
struct CodeAction {
    std::string language;  ///< "python", "node", "bash"
    std::string source;    ///< as written: data comes in by `arguments`, never by templates in code
    ValueTemplate arguments;      ///< JSON the code finds as `args`
    ValueTemplate sandbox;        ///< limits, image, network, policy: fields of POST /v1/sandboxes
    ValueTemplate workspace;      ///< whose kept files it begins with: a handle or a list of them
    bool keep_workspace = false;  ///< its files outlive it, for later steps and for people
};
/// Output: {"status", "headers", "body" (JSON where it is JSON)}.
struct HttpAction {
    ValueTemplate request;  ///< {"method", "url", "headers", "query", "json" or "body"}
    std::vector<std::uint16_t> ok_status;  ///< empty: 200 to 299
};
/// Output: what the operation gives.
struct MemoryAction {
    std::string operation;  ///< a name of the memory tools: "memory_add", "memory_search" ...
    ValueTemplate arguments;
};
/// A function registered in C++ by the program.
struct NativeAction {
    std::string function;
    ValueTemplate arguments;
};
/// A step that workers outside take over HTTP (TypeScript, Python).
struct WorkerAction {
    std::string queue;
    std::string function;
    ValueTemplate arguments;
};
/// A person's decision. Output: {"decision": "approved" | "rejected" | "answered", "answer", "by"}.
struct HumanAction {
    enum class Ask : std::uint8_t { approve, edit, answer };
    Ask ask = Ask::approve;
    ValueTemplate prompt;                   ///< what the person reads
    ValueTemplate draft;                    ///< of `edit`: what may be changed
    std::optional<base::SchemaCheck> form;  ///< what an answer must be
    std::vector<std::string> assignees;
    std::optional<milliseconds> escalate_after;
    std::vector<std::string> escalate_to;
};
/// Output: of a signal or event its payload; of a timer {"fired_at"}.
struct WaitAction {
    std::variant<std::monostate, milliseconds> duration;
    std::optional<ValueTemplate> until;     ///< RFC 3339 text or seconds since 1970
    std::string cron;                       ///< the next moment it names
    std::string signal;                     ///< sent to this run by name
    std::string event;                      ///< emitted by any run of the tenant
    std::optional<base::Expression> where;  ///< of a signal or event: `payload` must satisfy it
};
/// Exactly one arm runs: the first whose condition holds. Output: the arm's last step's.
struct ChooseAction {
    struct Arm {
        std::optional<base::Expression> when;  ///< none: else, default
        std::string label;                     ///< "then", "else", a case's value
        std::shared_ptr<const Block> block;
    };
    std::optional<base::Expression> subject;  ///< of a switch: compared with `values`
    std::vector<base::json::value> values;    ///< one per arm with a value
    std::vector<Arm> arms;
};
/// Output: a list of the rounds' outputs (the last step's), or the last one alone.
struct LoopAction {
    std::optional<base::Expression> items;  ///< for each; else while
    std::optional<base::Expression> while_;
    std::string item_name = "item";
    std::uint32_t concurrency = 1;  ///< rounds at once
    std::uint64_t rounds_max = 10'000;
    bool collect = true;  ///< false: only the last output is kept, for very long loops
    std::shared_ptr<const Block> body;
};
/// Output: an object, branch name to output.
struct ParallelAction {
    struct Branch {
        std::string name;
        std::shared_ptr<const Block> block;
    };
    std::vector<Branch> branches;
    std::uint32_t needed = 0;  ///< done when so many are; 0: all. The others are cancelled.
};
/// A run of another definition. Output: its output.
struct SubflowAction {
    std::string workflow;
    std::uint32_t version = 0;  ///< 0: the newest when it starts
    ValueTemplate input;
    bool detached = false;  ///< do not wait: output {"run_id"}
};
/// Says something to whoever waits for it, in the same commit.
struct EmitAction {
    std::string event;  ///< or a signal to `run`
    std::string signal;
    std::optional<ValueTemplate> run;
    ValueTemplate payload;
};
/// Values under names the later steps see as `vars`. Output: the object.
struct SetAction {
    ValueTemplate values;
};
/// Ends the run here: with its output, or as failed.
struct EndAction {
    bool failed = false;
    ValueTemplate value;  ///< the output, or the message
};

using Action =
    std::variant<LlmAction, ToolAction, CodeAction, HttpAction, MemoryAction, NativeAction,
                 WorkerAction, HumanAction, WaitAction, ChooseAction, LoopAction, ParallelAction,
                 SubflowAction, EmitAction, SetAction, EndAction>;

// ---- how a step behaves ----------------------------------------------------------------------

struct RetryPolicy {
    std::uint32_t attempts_max = 3;  ///< the first included [AInfra 3.2]
    milliseconds backoff{1000};      ///< before the second attempt
    double factor = 2;
    milliseconds backoff_max{3'600'000};
    double jitter = 0.1;          ///< share of the wait that chance decides
    std::vector<std::string> on;  ///< error codes; empty: those that time may heal
};

struct OnError {
    enum class Do : std::uint8_t { fail, skip, pause, go_to, compensate };
    Do what = Do::fail;
    std::string target;  ///< of go_to: a step of the same block
};

struct Step {
    std::string id;  ///< unique in the definition
    std::string title;
    Action action;
    std::vector<std::uint32_t> needs;      ///< indices into the block
    std::optional<base::Expression> when;  ///< false: skipped
    RetryPolicy retry;
    milliseconds timeout{
        300'000};  ///< of one attempt; 0: none. Waits and people: of the whole wait
    OnError on_error;
    std::shared_ptr<const Step> compensation;  ///< undoes it when a later step fails for good
    std::optional<base::SchemaCheck> output_check;
    std::string checkpoint;  ///< a name under which a run can be resumed here
    std::string queue;       ///< of the definition's `queues`: bounds what runs at once
    std::optional<ValueTemplate> idempotency_key;
    std::uint32_t line = 0, column = 0;
};

struct Queue {
    std::string name;
    std::uint32_t concurrency = 0;  ///< 0: no bound
    double per_second = 0;          ///< 0: no bound
};

struct Schedule {
    std::string cron;  ///< five fields, UTC unless `zone_offset_s`
    std::int32_t zone_offset_s = 0;
    base::json::value input;
};

struct Budget {
    std::uint64_t tokens = 0, steps = 0;  ///< 0: no bound
    double cost_usd = 0;
};

struct Definition {
    std::string name;
    std::string description;
    std::string hash;           ///< SHA-256 of the canonical JSON: what runs hold on to
    std::uint32_t version = 0;  ///< given at deployment
    std::optional<base::SchemaCheck> input_check, output_check;
    base::json::value input_defaults;
    std::shared_ptr<const Block> body;
    std::optional<ValueTemplate> output;  ///< none: the last step's output
    std::vector<Queue> queues;
    std::vector<Schedule> schedules;
    std::string run_queue;  ///< whole runs wait in it
    std::int32_t priority = 0;
    milliseconds deadline{0};  ///< of a run; 0: none
    Budget budget;
    base::json::value labels;
    base::json::value document;  ///< as read, for people and for the journal
};

}  // namespace flow
