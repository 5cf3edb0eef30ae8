#pragma once
// What the readers of definitions share: faults at their places, templates and expressions, and the
// variables these read. Internal to this folder.

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/document/document.h"
#include "flow/definition/definition.h"

namespace flow {

/// Whose expression it is, which decides what it can see.
enum class Sight : std::uint8_t {
    step,          ///< a field of the step
    loop_test,     ///< a while loop's condition: also what its rounds did
    where,         ///< of a wait: also `payload`
    compensation,  ///< runs long after
    output,        ///< of the run
};

/// A variable that an expression reads, with its place in the file.
struct Reference {
    base::VariableUse use;  ///< line and column are the file's
    std::string step;       ///< empty for the run's output
    Sight sight = Sight::step;
    std::string path;
};

/// What the file says of one step beside what the engine runs.
struct StepPlace {
    const base::Node* node = nullptr;
    std::string path;
    std::string kind;
    std::string outer;                ///< the step whose block it is in; empty at the top
    std::uint32_t block = 0;          ///< numbered as they are read
    std::vector<std::string> before;  ///< ids in its block that it depends on
    std::string jump;                 ///< of on_error goto
    const base::Node* jump_node = nullptr;
    bool undoes = false;       ///< has a compensation
    bool asks_undo = false;    ///< on_error: compensate
    std::string item_name;     ///< of a for_each
    bool keeps_files = false;  ///< of code
};

class Reader {
public:
    Reader(std::string_view text, bool json);

    void fault(const base::Node& node, const std::string& path, std::string message);
    void fault_at(std::uint32_t line, std::uint32_t column, const std::string& path,
                  std::string message);

    /// A value with expressions in it. The step is the one being read.
    ValueTemplate value(const base::Node& node, const std::string& path, Sight sight = Sight::step);
    /// With or without braces. Empty after a fault.
    std::optional<base::Expression> expression(const base::Node& node, const std::string& path,
                                               Sight sight = Sight::step);
    std::optional<base::SchemaCheck> schema(const base::Node& node, const std::string& path);

    /// Members of maps of the right kind; absent or wrong ones leave the target: the shape's check
    /// has told.
    static const base::Node* map(const base::Node& node, std::string_view name);
    static const base::Node* list(const base::Node& node, std::string_view name);
    static void text(const base::Node& node, std::string_view name, std::string& out);
    static void flag(const base::Node& node, std::string_view name, bool& out);
    static void duration(const base::Node& node, std::string_view name, milliseconds& out);
    static void texts(const base::Node& node, std::string_view name, std::vector<std::string>& out);
    template <class T>
    static void number(const base::Node& node, std::string_view name, T& out) {
        const auto found = number_of_member(node, name);
        if (!found || *found < static_cast<double>(std::numeric_limits<T>::lowest()) ||
            *found > static_cast<double>(std::numeric_limits<T>::max())) {
            return;
        }
        out = static_cast<T>(*found);
    }

    /// So many faults that no more are kept.
    bool full() const;
    /// The path as people read it: "http.url of step 'fetch'".
    std::string words(const std::string& path) const;

    std::string step;       ///< being read
    std::string step_path;  ///< its own
    bool undoing = false;   ///< reading its compensation
    std::vector<base::Fault> faults;
    std::vector<Reference> references;

private:
    static std::optional<double> number_of_member(const base::Node& node, std::string_view name);
    void values_of(const base::Node& node, const std::string& path, Sight sight);
    void add_references(const base::Node& node, const std::string& path, Sight sight,
                        const std::vector<base::VariableUse>& uses);
    /// Where line and column of a text's own are in the file.
    std::pair<std::uint32_t, std::uint32_t> within(const base::Node& node, std::uint32_t line,
                                                   std::uint32_t column) const;

    std::vector<std::string_view> lines_;
    const bool json_;
};

/// Reads the steps of a file into blocks.
class StepReader {
public:
    explicit StepReader(Reader& in) : in_(in) {}
    /// `outer`: the id of the step that holds the block.
    std::shared_ptr<const Block> block(const base::Node& steps, const std::string& path,
                                       const std::string& outer);
    const std::map<std::string, StepPlace>& places() const { return places_; }

private:
    void step(const base::Node& node, const std::string& path, const std::string& outer,
              std::uint32_t block, Step& out);
    std::string id_of(const base::Node& node, const std::string& path, std::string_view kind);
    void policies(const base::Node& node, const std::string& path, Step& out, StepPlace& place);
    void compensation(const base::Node& node, const std::string& path, Step& out);
    Action action(std::string_view kind, const base::Node& node, const std::string& path,
                  Step& out);
    Action human(const base::Node& node, const std::string& path, Step& out);
    Action wait(const base::Node& node, const std::string& path);
    Action branch(const base::Node& node, const std::string& path, const std::string& id);
    Action choose(const base::Node& node, const std::string& path, const std::string& id);
    Action loop(const base::Node& node, const std::string& path, const std::string& id,
                bool for_each);
    Action parallel(const base::Node& node, const std::string& path, const std::string& id);
    std::vector<std::vector<std::string>> dependencies(const base::Node& steps,
                                                       const std::vector<Step>& read);

    Reader& in_;
    std::map<std::string, StepPlace> places_;
    std::uint32_t blocks_ = 0;
    std::map<std::string, std::uint32_t, std::less<>> made_ids_;
};

/// Leaves the steps in topological order with their `needs`. `before`: for each step the ids of the
/// block that it depends on. Tells a cycle by its names.
void order_block(Reader& in, std::map<std::string, StepPlace>& places,
                 const std::vector<std::vector<std::string>>& before, std::vector<Step>& steps);

/// Faults for references to what does not exist or cannot have run.
/// `vars`: names that `set` gives; empty and `vars_open`: any.
struct Names {
    const std::map<std::string, StepPlace>& places;
    std::vector<std::string> vars = {};
    bool vars_open = false;
    std::vector<std::string> inputs = {};
    bool inputs_open = true;
};
void check_references(Reader& in, const Names& names);

/// Faults for jumps and compensations that cannot be.
void check_failure_paths(Reader& in, const std::map<std::string, StepPlace>& places);

}  // namespace flow
