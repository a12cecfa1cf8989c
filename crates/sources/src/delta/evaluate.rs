//! The library's projections of actions. Owns the few expressions that reading a table without a
//! filter needs; any other is refused, so that none is passed over in silence.

use std::sync::Arc;

use delta_kernel::engine_data::EngineData;
use delta_kernel::expressions::Scalar;
use delta_kernel::schema::{DataType, SchemaRef, StructField, StructType};
use delta_kernel::{
    EvaluationHandler, Expression, ExpressionEvaluator, ExpressionRef, KernelError, KernelResult,
    PredicateEvaluator, PredicateRef,
};

use super::batch::{Batch, Value, unsupported};

/// Makes evaluators.
pub(super) struct Evaluators;

impl EvaluationHandler for Evaluators {
    fn new_expression_evaluator(
        &self,
        _input: SchemaRef,
        expression: ExpressionRef,
        output: DataType,
    ) -> KernelResult<Arc<dyn ExpressionEvaluator>> {
        let (schema, is_row) = match output {
            DataType::Struct(fields) => (Arc::new(*fields), true),
            other => {
                let column = StructField::nullable("output", other);
                (Arc::new(StructType::try_new([column])?), false)
            }
        };
        Ok(Arc::new(Projection {
            expression,
            schema,
            is_row,
        }))
    }

    fn new_predicate_evaluator(
        &self,
        _input: SchemaRef,
        _predicate: PredicateRef,
    ) -> KernelResult<Arc<dyn PredicateEvaluator>> {
        Err(unsupported("a filter"))
    }

    fn create_many(
        &self,
        _schema: SchemaRef,
        _rows: Vec<Vec<Scalar>>,
    ) -> KernelResult<Box<dyn EngineData>> {
        Err(unsupported("making rows"))
    }
}

struct Projection {
    expression: ExpressionRef,
    schema: SchemaRef,
    /// Whether the expression is the whole row, not a column of it.
    is_row: bool,
}

impl ExpressionEvaluator for Projection {
    fn evaluate(&self, batch: &dyn EngineData) -> KernelResult<Box<dyn EngineData>> {
        let batch = batch.any_ref().downcast_ref::<Batch>();
        let batch = batch.ok_or_else(|| KernelError::EngineDataType("Batch".to_owned()))?;
        let mut rows = Vec::with_capacity(batch.rows.len());
        for row in &batch.rows {
            let value = value(&self.expression, &batch.schema, row)?;
            rows.push(match value {
                Value::Struct(values) if self.is_row => values,
                _ if self.is_row => vec![Value::Null; self.schema.num_fields()],
                value => vec![value],
            });
        }
        Ok(Box::new(Batch {
            schema: Arc::clone(&self.schema),
            rows,
        }))
    }
}

fn value(expression: &Expression, schema: &StructType, row: &[Value]) -> KernelResult<Value> {
    Ok(match expression {
        Expression::Column(name) => {
            let path = Batch::path(schema, name);
            let path = path.ok_or_else(|| KernelError::MissingColumn(name.to_string()))?;
            Batch::at(row, &path).cloned().unwrap_or(Value::Null)
        }
        Expression::Struct(fields, None) => Value::Struct(
            fields
                .iter()
                .map(|field| value(field, schema, row))
                .collect::<KernelResult<_>>()?,
        ),
        Expression::Literal(Scalar::Null(_)) => Value::Null,
        _ => return Err(unsupported("a computed column")),
    })
}
