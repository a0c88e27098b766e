#include "bridge/json.hpp"

#include "bridge/guard.hpp"

namespace claude_gpt::bridge {

namespace {

constexpr int k_max_depth = 32;

std::string string_of(const JsonbValue& value) {
  return {value.val.string.val, static_cast<std::size_t>(value.val.string.len)};
}

// Walks the server's token stream; the position in it is the only state.
class Reader {
 public:
  explicit Reader(Jsonb* document) {
    iterator_ = guarded([document] { return JsonbIteratorInit(&document->root); });
  }

  std::optional<core::Json> read_document() {
    const JsonbIteratorToken token = next();
    // A scalar at the top is stored as an array of one element, marked so.
    if (token == WJB_BEGIN_ARRAY && value_.val.array.rawScalar) {
      next();
      return scalar();
    }
    core::Json document = read(token, 1);
    if (too_deep_) return std::nullopt;
    return document;
  }

 private:
  JsonbIteratorToken next() {
    Reader* self = this;
    return guarded([self] { return JsonbIteratorNext(&self->iterator_, &self->value_, false); });
  }

  core::Json read(JsonbIteratorToken token, int depth) {
    too_deep_ = too_deep_ || depth > k_max_depth;
    if (too_deep_) return {nullptr};
    if (token == WJB_BEGIN_ARRAY) return {read_array(depth)};
    if (token == WJB_BEGIN_OBJECT) return {read_object(depth)};
    return scalar();
  }

  core::Json::Array read_array(int depth) {
    core::Json::Array elements;
    for (JsonbIteratorToken token = next(); token != WJB_END_ARRAY && !too_deep_; token = next())
      elements.push_back(read(token, depth + 1));
    return elements;
  }

  core::Json::Object read_object(int depth) {
    core::Json::Object members;
    for (JsonbIteratorToken token = next(); token != WJB_END_OBJECT && !too_deep_; token = next()) {
      std::string key = string_of(value_);
      members.emplace_back(std::move(key), read(next(), depth + 1));
    }
    return members;
  }

  core::Json scalar() const {
    switch (value_.type) {
      case jbvBool: return {value_.val.boolean};
      case jbvString: return {string_of(value_)};
      case jbvNumeric: {
        const Numeric number = value_.val.numeric;
        const char* text =
            guarded([number] { return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number))); });
        return {core::Json::Number{text}};
      }
      default: return {nullptr};
    }
  }

  JsonbIterator* iterator_ = nullptr;
  JsonbValue value_ = {};
  bool too_deep_ = false;  // the rest is not read
};

}  // namespace

std::optional<core::Json> read_jsonb(Datum datum) {
  Jsonb* document = guarded([datum] { return DatumGetJsonbP(datum); });
  return Reader{document}.read_document();
}

bool is_array_of_objects(Datum datum) {
  return guarded([datum] {
    Jsonb* document = DatumGetJsonbP(datum);
    if (!JB_ROOT_IS_ARRAY(document) || JB_ROOT_IS_SCALAR(document)) return false;
    JsonbIterator* iterator = JsonbIteratorInit(&document->root);
    JsonbValue value;
    JsonbIteratorNext(&iterator, &value, true);  // the array itself
    while (JsonbIteratorNext(&iterator, &value, true) == WJB_ELEM)
      if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data)) return false;
    return true;
  });
}

}  // namespace claude_gpt::bridge
