import type { z } from 'zod'

/** Marks an option whose value is never printed or logged, and which may come from a file (`SPECTRUM_…_FILE`). */
export function secret<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.meta({ ...schema.meta(), secret: true }) as Schema
}
