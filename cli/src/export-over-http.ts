import { callService, type RemoteService } from './remote-service.ts'

export interface RemoteExport extends RemoteService {
  readonly format: string
  readonly after: string | null
}

/** Requests the export from a running service and returns the bytes as they arrive. */
export async function requestExport({ format, after, ...service }: RemoteExport): Promise<AsyncIterable<Uint8Array>> {
  const { body } = await callService(service, { path: '/api/v1/events/export', query: { format, after } })
  return body as AsyncIterable<Uint8Array>
}
