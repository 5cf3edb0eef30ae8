#pragma once
// One template and expression engine: chat templates that ship inside model files, workflow
// expressions and prompts. The language is the part of Jinja 2 those use, with Python's printing,
// truth and slicing rules. Templates are untrusted input: every render has limits, so a hostile one
// ends in an error and never in a hang or an exhausted machine.
//
//   const Template chat = DG_TRY(Template::parse(source));
//   const std::string prompt = DG_TRY(chat.render({{"messages", messages},
//                                                  {"add_generation_prompt", true}}));

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace base {

/// What one render or evaluation may use before it fails with resource_exhausted.
struct RenderLimits {
    std::size_t output_bytes_max = 64u << 20;   ///< rendered text, macros and blocks included
    std::size_t memory_bytes_max = 256u << 20;  ///< values alive at once
    /// Nodes evaluated, loop rounds, bytes copied / 64 and bytes read / 32.
    std::uint64_t steps_max = 50'000'000;
    int depth_max = 400;  ///< nested macro calls, blocks and expressions
};

struct RenderOptions {
    RenderLimits limits;
    /// What `strftime_now` shows: seconds since 1970-01-01 UTC, and the zone to show them in.
    /// The engine reads no clock.
    std::int64_t now_unix_s = 0;
    std::int32_t utc_offset_s = 0;
};

/// Defaults are those Hugging Face renders chat templates with.
struct TemplateSyntax {
    bool trim_blocks = true;             ///< drop the newline after a block tag
    bool lstrip_blocks = true;           ///< drop blanks between line start and a block tag
    bool keep_trailing_newline = false;  ///< keep the newline that ends the source
};

/// What a render sees, for callers whose values do not stand in one object.
class Variables {
public:
    virtual ~Variables() = default;
    /// `path` is a name and the attributes asked of it: {"steps", "fetch", "output"}. Gives the
    /// value of as much of its beginning as the caller wants to look up itself, and in `used` how
    /// many of its names that is; the rest is looked up in the value, which must live as long as
    /// the render. Null: not a variable; with `used` above 1: a variable in which so many names
    /// lead to nothing, which is undefined.
    virtual const json::value* find(std::span<const std::string_view> path,
                                    std::size_t& used) const = 0;
};

/// A variable that a template or an expression reads, and the constant attributes or keys that are
/// asked of it: {"steps", "fetch", "output"} of `steps.fetch["output"]`.
struct VariableUse {
    std::vector<std::string> path;
    bool open = false;  ///< a computed key follows
    std::uint32_t line = 1, column = 1;
};

/// A parsed template. Immutable: share it between threads; copies share the syntax tree.
class Template {
public:
    /// Errors: invalid_argument with line and column.
    static Result<Template> parse(std::string_view source, TemplateSyntax syntax = {});

    /// Errors: invalid_argument (the template called `raise_exception`, or met a value of the wrong
    /// kind; names the line), resource_exhausted (a limit, named).
    Result<std::string> render(const json::object& variables,
                               const RenderOptions& options = {}) const;
    Result<std::string> render(const Variables& variables, const RenderOptions& options = {}) const;

    /// Without those it sets itself and the functions it calls.
    std::vector<VariableUse> variables() const;

private:
    struct Tree;
    explicit Template(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}
    std::shared_ptr<const Tree> tree_;
};

/// A parsed expression without braces, such as `steps.fetch.status == 200 and retries < 3`.
class Expression {
public:
    /// Errors: invalid_argument with line and column.
    static Result<Expression> parse(std::string_view source);

    /// The value as JSON: tuples become arrays, undefined becomes null. Errors: as render.
    Result<json::value> evaluate(const json::object& variables,
                                 const RenderOptions& options = {}) const;
    Result<json::value> evaluate(const Variables& variables,
                                 const RenderOptions& options = {}) const;

    /// Python truth of the value: zero, empty, none and undefined are false. Errors: as render.
    Result<bool> test(const json::object& variables, const RenderOptions& options = {}) const;
    Result<bool> test(const Variables& variables, const RenderOptions& options = {}) const;

    std::vector<VariableUse> variables() const;

private:
    struct Tree;
    explicit Expression(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}
    std::shared_ptr<const Tree> tree_;
};

/// Parses and evaluates once. Errors: as Expression.
Result<json::value> evaluate(std::string_view expression, const json::object& variables,
                             const RenderOptions& options = {});

}  // namespace base
